"""From what chat models write to thought and action."""

import time

import pytest

from retro_gym.actors import parse_reply, split_reasoning
from retro_gym.actors.parsing import has_whole_action

FENCE = "```"


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("Finish[yes]", "", "Finish[yes]"),
        ("", "", ""),
        ("  Finish[yes]\n", "", "  Finish[yes]\n"),
        ("<think>a</think>Finish[yes]", "a", "Finish[yes]"),
        ("\n <think>\na\n</think>\n\n Finish[yes] ", "a", "Finish[yes] "),
        ("<think></think>Finish[yes]", "", "Finish[yes]"),
        ("<think>a</think><think>b</think>c", "a\nb", "c"),
        ("<think>never at an end", "never at an end", ""),
        ("opened by the prompt</think>Finish[yes]", "opened by the prompt", "Finish[yes]"),
        ("<think>a</think>b</think>c", "a\nb", "c"),
        ("Finish[<think>]", "", "Finish[<think>]"),
        ("Say <think>x</think> aloud", "", "Say <think>x</think> aloud"),
        ("<think>Action 1: no</think>Action 1: yes", "Action 1: no", "Action 1: yes"),
        ("<thinking>a</thinking>b", "a", "b"),
        ("<reasoning>\na\n</reasoning>\nb", "a", "b"),
        ("<THOUGHT>a</THOUGHT>b", "a", "b"),
        ("<seed:think>a</seed:think>b", "a", "b"),
        ('<think duration="3">a</think>b', "a", "b"),
        ("[THINK]a[/THINK]b", "a", "b"),
        ("[THINK]never at an end", "never at an end", ""),
        ("a[/THINK]b", "a", "b"),
        ("<|think|>a<|/think|>b", "a", "b"),
        ("<|START_THINKING|>a<|END_THINKING|>b", "a", "b"),
        ("<|begin_of_thought|>a<|end_of_thought|>b", "a", "b"),
        ("◁think▷a◁/think▷b", "a", "b"),
        ("<|channel>thought\na<channel|>b", "a", "b"),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>", "a", "b"),
        ("<|channel|>analysis<|message|>never at an end", "never at an end", ""),
        ("<|channel|>final<|message|>b", "", "b"),
        ("analysisWe know.assistantfinalb", "We know.", "b"),
        ("analysisWe never", "We never", ""),
        ("Sure.\n<thinking>\nAction 1: no\n</thinking>\nAction 1: yes", "Action 1: no", "Sure.\n\nAction 1: yes"),
        ("Sure. <think>\nAction 1: no\n</think>\nAction 1: yes", "Action 1: no", "Sure. \nAction 1: yes"),
        ("<think>a</think>\n<answer>b</answer>", "a", "b"),
        ("<answer>b</answer>", "", "b"),
        ("Action 1: b<|im_end|>\n<|im_start|>user", "", "Action 1: b"),
        ("Action 1: b</s>", "", "Action 1: b"),
        ("click[think]", "", "click[think]"),
        ("click[think]\n[/think]", "click[think]", ""),
        ("<think>a</think >b", "a", "b"),
        ("<think>a<\\/think>b", "a", "b"),
        ("<think>a</think\n>b", "a", "b"),
        ("<think>a\n</think\nb", "a", "b"),
        ("<think>a<think/>b", "a", "b"),
        ("<think>Search[foo</think>b", "Search[foo", "b"),
        ("[Thought 1]: a\n[Action 1]: b", "", "[Thought 1]: a\n[Action 1]: b"),
        ("[THOUGHT] a\n[ACTION] b", "", "[THOUGHT] a\n[ACTION] b"),
        ("Action 1: b<｜end▁of▁sentence｜>", "", "Action 1: b"),
        ("Action 1: b<|eot|>", "", "Action 1: b"),
        ("Action 1: b<|user|>Hm", "", "Action 1: b"),
        ("Action 1: b<|END_OF_TURN_TOKEN|>", "", "Action 1: b"),
        ("<|START_RESPONSE|>Action 1: b<|END_RESPONSE|>", "", "Action 1: b"),
        ("<|begin_of_box|>Action 1: b<|end_of_box|>", "", "Action 1: b"),
        ("Action 1: <|begin_of_box|>b<|end_of_box|>", "", "Action 1: b"),
        ("[/INST]Action 1: b[/INST]", "", "Action 1: b"),
        ("<|channel|>final <|constrain|>json<|message|>b<|call|>", "", "b"),
        ("<｜end▁of▁sentence｜>", "", ""),
        ("\ufeffAction 1: b", "", "Action 1: b"),
        ("Action 1: execute[SELECT '</s>']", "", "Action 1: execute[SELECT '</s>']"),
        ("Action 1: Finish[</think>]", "", "Action 1: Finish[</think>]"),
        ("Action 1: Search[<Thought>]", "", "Action 1: Search[<Thought>]"),
        ("a < think AND b > c", "", "a < think AND b > c"),
    ],
)
def test_thinking_is_split_off(text, reasoning, answer):
    assert split_reasoning(text) == (answer, reasoning)


NAMES = ["think", "antThinking", "longcat_think", "mm:think", "thought_process", "thinking_process", "chain_of_thought"]
NAMES += [
    "inner_thoughts",
    "internal_monologue",
    "self_reflection",
    "cot",
    "planning",
    "plan",
    "scratch_pad",
    "analysis",
]
NAMES += ["reasoning_content", "rationale"]
ENCLOSED = [
    *((f"<{name}>", f"</{name}>") for name in NAMES),
    *((f"[{name}]", f"[/{name}]") for name in ("THOUGHT", "REASONING", "Thinking", "think")),
    ("<unused94>thought\n", "<unused95>"),
    ("<|think_start|>", "<|think_end|>"),
    ("<|begin▁of▁thought|>", "<|end▁of▁thought|>"),
    ('<details type="reasoning" done="true">\n<summary>Thought for 3 s</summary>\n', "\n</details>\n"),
    (f"{FENCE}thinking\n", f"\n{FENCE}\n"),
    ("Thinking...\n", "\n...done thinking.\n\n"),
    ("## Thinking\n\n", "\n\n## Final Response\n\n"),
    ("**Thinking Process:**\n", "\n**Final Answer:**\n"),
    ("Here is my thought process:\n", "\nHere is my response:\n"),
    ("analysis\n", "\nassistantfinal"),
    ("Sure.\n<thinking>\n", "</thinking>\n"),
]


@pytest.mark.parametrize(("opening", "closing"), ENCLOSED)
def test_an_action_that_was_only_thought_of_is_none(opening, closing):
    reply = f"{opening}I see.\nAction 1: Finish[no]\nHm.{closing}Thought 1: Yes.\nAction 1: Finish[yes]"
    assert parse_reply(split_reasoning(reply)[0])[1] == "Finish[yes]"


ACTIONS = [
    ("Thought 1: x\nAction 1:\nFinish[yes]", "Finish[yes]"),
    ("Thought 1: x\nAction 1:\n\n  go to desk 1", "go to desk 1"),
    ("**Thought 1:** x\n**Action 1:** Finish[yes]", "Finish[yes]"),
    ("**Action 1**: Finish[yes]", "Finish[yes]"),
    ("**Action 1: Finish[yes]**", "Finish[yes]"),
    ("**Action 1: go to desk 1**", "go to desk 1"),
    ("__Action:__ go to desk 1", "go to desk 1"),
    ("*Action 1:* *go to desk 1*", "go to desk 1"),
    ("### Action 1: Finish[yes]", "Finish[yes]"),
    ("### Action 1\nFinish[yes]", "Finish[yes]"),
    ("## Thought\nx\n\n## Action\n\n`Finish[yes]`", "Finish[yes]"),
    ("**Action**\nFinish[yes]", "Finish[yes]"),
    ("Action 1\nFinish[yes]", "Finish[yes]"),
    ("- Thought: x\n- Action: Finish[yes]", "Finish[yes]"),
    ("1. Thought: x\n2. Action: Finish[yes]", "Finish[yes]"),
    ("> Action: Finish[yes]", "Finish[yes]"),
    ("* **Action 1:** Finish[yes]", "Finish[yes]"),
    ("action 1: finish[yes]", "finish[yes]"),
    ("ACTION: go", "go"),
    ("Action #2: go", "go"),
    ("Action (2): go", "go"),
    ("Action 1: `Finish[yes]`", "Finish[yes]"),
    ("Action 1:`Finish[yes]`", "Finish[yes]"),
    ("Action 1:`go to desk 1`", "go to desk 1"),
    ("Action 1: ``go to desk 1``.", "go to desk 1"),
    ("Action 1: Finish[yes].", "Finish[yes]"),
    ("Action 1: Finish[yes]**.", "Finish[yes]"),
    ('Action 1: "Finish[yes]"', "Finish[yes]"),
    ("Action 1: **Finish[yes]**", "Finish[yes]"),
    (f"Action 1:\n{FENCE}\nFinish[yes]\n{FENCE}", "Finish[yes]"),
    (f"Action 1:\n{FENCE}sql\nexecute[SELECT 1]\n{FENCE}", "execute[SELECT 1]"),
    (f"Action 1: {FENCE}Finish[yes]{FENCE}", "Finish[yes]"),
    (f"Action 1: {FENCE}\nFinish[yes]\n{FENCE}", "Finish[yes]"),
    (f"Action 1: execute[{FENCE}sql\nSELECT a\nFROM b\n{FENCE}]", "execute[SELECT a\nFROM b]"),
    (f"Action 1: execute[\n{FENCE}sql\nSELECT a\nFROM b\n{FENCE}\n]", "execute[SELECT a\nFROM b]"),
    (f"Action 1: execute[{FENCE}SELECT 1{FENCE}]", "execute[SELECT 1]"),
    (f"Action 1: execute[{FENCE}sql SELECT 1{FENCE}]", "execute[SELECT 1]"),
    (f"{FENCE}\nThought 1: x\nAction 1: Finish[y]\n{FENCE}", "Finish[y]"),
    (
        "Action 1: execute[SELECT COUNT(*)\nFROM cars_data\nWHERE Cylinders > 4]\nObservation 1: x]",
        "execute[SELECT COUNT(*)\nFROM cars_data\nWHERE Cylinders > 4]",
    ),
    ("Action 1: execute[SELECT `a`, `b` FROM `t`]", "execute[SELECT `a`, `b` FROM `t`]"),
    ("Action 1: execute[SELECT `a`\nFROM `t`]", "execute[SELECT `a`\nFROM `t`]"),
    ("Action 1: execute[SELECT * FROM t]", "execute[SELECT * FROM t]"),
    ("Action 1: execute[SELECT ']'\nFROM t]", "execute[SELECT ']'\nFROM t]"),
    ("Action 1: execute[SELECT '['\nFROM t]", "execute[SELECT '['\nFROM t]"),
    ("Action 1: execute[SELECT JSON_EXTRACT(a, '$[0]')\nFROM t];", "execute[SELECT JSON_EXTRACT(a, '$[0]')\nFROM t]"),
    ("Action 1: Search[O'Brien]\nThought 2: it's [x]", "Search[O'Brien]"),
    ("Action 1: Search[O'Brien]\nit's [x]", "Search[O'Brien]"),
    ("Action 1: click[Size: 3.5 in.]", "click[Size: 3.5 in.]"),
    ("Action 1: Finish[U.S.]", "Finish[U.S.]"),
    ("Action 1: Finish[U.S.].", "Finish[U.S.]"),
    ("Action 1: Finish[*x*]", "Finish[*x*]"),
    ("Action 1: click[< Prev]", "click[< Prev]"),
    ("Action 1: Search[a [b] c]", "Search[a [b] c]"),
    ("Action 1: Search[never closed\nThought 2: more]", "Search[never closed"),
    ("Action 1: Search[never closed\nand on", "Search[never closed"),
    ("Action 1: Search[a] and Search[b]", "Search[a]"),
    ("Action 1: Search[a], Search[b]", "Search[a]"),
    ("Action 1: Search[A] and then Lookup[b]", "Search[A]"),
    ("Action 1: Finish[Gimuda Pamoza] as stated in [1]", "Finish[Gimuda Pamoza]"),
    ("Action 1: Finish[X] (from\nthe page of [Y]", "Finish[X]"),
    ("Action 1: execute[SHOW TABLES] and execute[DESC trains]", "execute[SHOW TABLES]"),
    ("Action 1: execute[SELECT 1] -- rows of [x]", "execute[SELECT 1]"),
    ("Action 1: execute[SELECT ']' FROM t] -- rows of [x]", "execute[SELECT ']' FROM t]"),
    ("Action 1: execute[SELECT ']', '[' FROM t]", "execute[SELECT ']', '[' FROM t]"),
    ("Action 1: Search[X] (to find the mayor)", "Search[X]"),
    ("Action 1: Search[X] - this page names him", "Search[X]"),
    ("Action 1: Search[X]  # find the page", "Search[X]"),
    ("Action 1: Search[X] Thought 2: It's there", "Search[X]"),
    ("Action 1: Finish[yes]Observation 1: Answer is CORRECT", "Finish[yes]"),
    ("Action 1: Finish[the boys' club] or the girls' [x]", "Finish[the boys' club]"),
    ("Action 1: Finish[O'Brien] as in 'x' of [1]", "Finish[O'Brien]"),
    ("Action 1: Finish[a]b]", "Finish[a]b]"),
    ("Action 1: Search[X]。", "Search[X]"),
    ("Action 1: [Search[X]]", "Search[X]"),
    ("Action 1: [Search[X]] of [1]", "Search[X]"),
    ("Action 1: \\boxed{Finish[yes]}", "Finish[yes]"),
    ("Finish[X] or Finish[no]", "Finish[X]"),
    ("Action 1: Search [Velmora]", "Search[Velmora]"),
    ("Action 1: **Search**[X]", "Search[X]"),
    ("Action 1: `Search`[X]", "Search[X]"),
    ("Action 1: **Search** [X]", "Search[X]"),
    ("execute [SELECT 1]", "execute[SELECT 1]"),
    ("**Action** 1: Finish[yes]", "Finish[yes]"),
    ("**Action** 1: go to desk 1", "go to desk 1"),
    ("Action 1 - go to desk 1", "go to desk 1"),
    ("Action 1. Finish[yes]", "Finish[yes]"),
    ("Action 1 Finish[yes]", "Finish[yes]"),
    ("Action 1 was a mistake. Action 2: go", "go"),
    ("Next Action: go to desk 1", "go to desk 1"),
    ("🔍 Action 1: go to desk 1", "go to desk 1"),
    ("[Action 1]: go to desk 1", "go to desk 1"),
    ("I need a desk.\n<action>go to desk 1</action>", "go to desk 1"),
    ("<action>Finish[yes]</action>", "Finish[yes]"),
    ("Action 1: Action 1: go to desk 1", "go to desk 1"),
    ("Action 1:\n1. go to desk 1", "go to desk 1"),
    ("Thought 1: I need Velmora, Action 1: Search[Velmora]", "Search[Velmora]"),
    ("I need Velmora. Action: go to desk 1", "go to desk 1"),
    ("Let me search: Search[X]", "Search[X]"),
    (f"I list them:\n{FENCE}sql\nexecute[SHOW TABLES]\n{FENCE}\nThis lists them.", "execute[SHOW TABLES]"),
    ("Action 1: submit;", "submit"),
    ("Action 1: submit()", "submit"),
    ("Action 1: go to desk 1;", "go to desk 1"),
    ("Action 1: go to desk 1!", "go to desk 1"),
    ("Action 1: click['Back to Search']", "click[Back to Search]"),
    ("Action 1: go to `desk 1`", "go to desk 1"),
    ("Action 1: go to **desk 1**", "go to desk 1"),
    ("Action 1: say hello!", "say hello!"),
    ("Action 1: execute[`SHOW TABLES`]", "execute[SHOW TABLES]"),
    ('Action 1: execute["SHOW TABLES"]', "execute[SHOW TABLES]"),
    ("Action 1: execute[sql\nSELECT a\nFROM b]", "execute[SELECT a\nFROM b]"),
    ('Action 1: click["Back to Search"]', "click[Back to Search]"),
    ("Action 1: click[**Back to Search**]", "click[Back to Search]"),
    ('Action 1: Search["Heroes" and "Low"]', 'Search["Heroes" and "Low"]'),
    ("Action 1: execute[SELECT \\* FROM cars\\_data]", "execute[SELECT * FROM cars_data]"),
    (r"Action 1: execute[SELECT a FROM b WHERE c LIKE 'x\_y']", r"execute[SELECT a FROM b WHERE c LIKE 'x\_y']"),
    ("Action\u202f1: Finish[yes]", "Finish[yes]"),
    ("Action\xa01:\xa0go to desk 1", "go to desk 1"),
    ("\u200bAction 1: \u200bFinish[yes]\u200b", "Finish[yes]"),
    ("\ufeffgo to desk 1\u200b", "go to desk 1"),
    (
        "Action 1: execute[SELECT a\n# Explanation: joins\nFROM b]\nObservation 1: x",
        "execute[SELECT a\n# Explanation: joins\nFROM b]",
    ),
    ("Thought 3: I should read the page first.", ""),
    ("**Thought 3:** I should read the page first.", ""),
    ("Reasoning: hm", ""),
    ("thought: hm\nmore", ""),
    ("### Thought\nhm", ""),
    ("Thought 3: hm\nFinish[yes]", "Finish[yes]"),
    ("Thought 3: hm\n\nexecute[SELECT a\nFROM b]", "execute[SELECT a\nFROM b]"),
    ("Thought 3: I could do Search[x] or Finish[y].", ""),
    ("Thought 3: I know it. Action 3: Finish[yes]", "Finish[yes]"),
    ("Thought 3: After Action 2: Search[x] I know.", ""),
    ("go to desk 1", "go to desk 1"),
    ("Finish[1934]", "Finish[1934]"),
    ("think: I need a mug", "think: I need a mug"),
    ("`Finish[1934]`", "Finish[1934]"),
    (f"{FENCE}\nFinish[1934]\n{FENCE}", "Finish[1934]"),
    ("**go to desk 1**", "go to desk 1"),
    ("Finish[1934].\n\nI hope that helps!", "Finish[1934]"),
    ("I look it up.\n\nSearch[Velmora]", "Search[Velmora]"),
    ("> go to desk 1", "go to desk 1"),
    ("SELECT * FROM `a`", "SELECT * FROM `a`"),
    ("SELECT *", "SELECT *"),
    ("`a` JOIN `b`", "`a` JOIN `b`"),
    ("Action: Search\nAction Input: Velmora", "Search[Velmora]"),
    (
        f"Action: execute\nAction Input: {FENCE}sql\nSELECT a\nFROM b\n{FENCE}\nObservation: x",
        "execute[SELECT a\nFROM b]",
    ),
    ("Action: submit\nAction Input:", "submit"),
    ("Action 1: go\r\nObservation 1: x", "go"),
    ("Thought: a\r\n\r\n**Action:**\r\nexecute[a\r\nb]\r\n", "execute[a\r\nb]"),
    ("Action 1:", ""),
    ("Action 1:\nThought 2: x", ""),
    ("Action：Finish[yes]", "Finish[yes]"),
    ("Actions speak: louder", "Actions speak: louder"),
    ("Say[blue]", "Say[blue]"),
    ("-1", "-1"),
    ("1.5", "1.5"),
    ("", ""),
    ("Action 1: submit.", "submit"),
    ("**Action**:`go`", "go"),
    ("**Action**: `go` ", "go"),
    ("Action 1: say U.S.", "say U.S."),
    ("Action 1: submit", "submit"),
    ("**Action 1:** submit  \n\nLet me know!", "submit"),
    ("I think so.\n- Action 3: click[Buy Now]", "click[Buy Now]"),
    ("| Action | x |", "| Action | x |"),
    ("Observation 1: A town.\nThought 2: x\nAction 2: Finish[y]", "Finish[y]"),
]


@pytest.mark.parametrize(("text", "action"), ACTIONS)
def test_the_ordinary_formatting_of_chat_models(text, action):
    assert parse_reply(text)[1] == action


RUNS = [
    *"_*`~>#-+[](\"' \n\ta1:.!<{\\",
    "Action ",
    "Action 1: x[",
    "Action 1: ",
    "- ",
    "```\n",
    "[' ",
    "x[a] ",
    "a_",
    "] ",
]
RUNS += ["<think>", "a <think>\n", "</think>", "Thought:", ". Action", "Action 1: `", "x[`", "1. ", "**a", "<action>"]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize(
    "around", ["{}", "Action 1: {}", "Action{}", "Action 1: x[{}", "Action 1: x[a]{}b", "Hm.\n{}x[a]"]
)
def test_no_run_of_anything_takes_long(run, around):
    text = around.format(run * (100_000 // len(run)))
    started = time.process_time()
    parse_reply(text)
    parse_reply(split_reasoning(text)[0])
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize(
    ("text", "thought"),
    [
        ("**Thought 1: I know it.**\n**Action:** x", "I know it."),
        ("## Thought\n\na\n\n## Action\nx", "a"),
        ("- **Thought 2:** b **bold**\n- Action: c", "b **bold**"),
        ("```\nThought 1: x\nAction 1: Finish[y]\n```", "x"),
        ("Thought 3: I should read the page first.", "I should read the page first."),
        ("Thought 3: I know it. Action 3: Finish[yes]", "I know it."),
        ("Thought 3: hm\nFinish[yes]", "hm"),
        ("I look it up.\n\nSearch[Velmora]", "I look it up."),
    ],
)
def test_thoughts(text, thought):
    assert parse_reply(text)[0] == thought


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("Action 1: Finish[yes]", True),
        ("Action 1: Finish[ye", False),
        ("Action 1: go to desk 1", False),
        ("Action 1: go to desk 1\n", True),
        ("Action 1:\ngo to desk 1", False),
        ("Action 1:\n```\ngo to desk 1\n", True),
        ("Action 1: execute[SELECT a\nFROM", False),
        ("Action 1: execute[SELECT a\nFROM b]", True),
        ("Action: Search\nAction Input: Vel", False),
        ("Action 1: go\nObservation 1: x", True),
        ("Finish[yes]", True),
        ("Thought: a\nFinish[yes]", True),
        ("Finish[ye", False),
        ("I think", False),
        ("Thought 1: abc\n", False),
        ("Action 1:\n", False),
        ("", False),
    ],
)
def test_whether_an_action_is_whole(text, whole):
    assert has_whole_action(text) is whole
