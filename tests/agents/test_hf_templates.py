"""Chat templates as other models have them: the task stands in the prompt, or an error of ours says why not."""

import pytest

from retro_gym.actors import HfActor
from retro_gym.errors import ConfigError
from retro_gym.token_view.tokens import encode_prompt
from tests.agents.hf_models import CHAT, TURNS, make_tokenizer, prompt, random_model

ASKED = prompt(turns=TURNS)
WRAPPED = (
    "<s>{% for m in messages %}<|{{ m.role }}|>%s{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
PARTS = "{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}"
ALTERNATING = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"


def shown(chat, asked=ASKED, **options):
    actor = HfActor(random_model("llama"), make_tokenizer(chat=chat), **options)
    return make_tokenizer().decode(actor._load().layout.row(asked).ids)


def squeezed(text):
    return "".join(text.split())


@pytest.mark.parametrize(
    "content",
    [
        PARTS,
        "{{ m.content[0]['text'] }}",
        f"{{% if m.role == 'user' %}}{PARTS}{{% else %}}{{{{ m.content }}}}{{% endif %}}",
        f"{{% if m.content is string %}}{{{{ m.content }}}}{{% else %}}{PARTS}{{% endif %}}",
        "{{ m.content | trim }}",
        "{{ m.content.split() | join(' ') }}",
        "{{ 'x' + m.content }}",  # a TypeError on parts
    ],
)
def test_content_is_given_as_the_template_reads_it(content):
    text = shown(WRAPPED.replace("%s", content))
    assert squeezed(text).replace("|>x", "|>") == squeezed(shown(CHAT))


@pytest.mark.parametrize("rule", [ALTERNATING, NO_SYSTEM, "{% if thinking %}/think{% endif %}"])
def test_templates_with_rules_of_their_own_take_the_messages(rule):
    assert shown(rule + CHAT) == shown(CHAT)


def test_what_the_assistant_thought_earlier_may_be_left_out():
    content = "{% if m.role == 'user' %}{{ m.content }}{% else %}{{ m.content.split('\\n')[-1] }}{% endif %}"
    text = shown(WRAPPED.replace("%s", content))
    assert "Thought 1" not in text
    assert "Action 3: Say[2]" in text


REFUSED = [
    ("{{ 1 + 'a' }}", r"refuses the messages: .*\(TypeError\)"),
    ("{{ 1 // 0 }}", r"refuses the messages: .*\(ZeroDivisionError\)"),
    ("{{ none_such.field }}", r"refuses the messages: .*'none_such' is undefined.*\(UndefinedError\)"),
    ("{% if %}", r"refuses the messages: .*\(TemplateSyntaxError\)"),
    ("{{ raise_exception('Only one user') }}", r"refuses the messages: 'Only one user'"),
    ("<s><|assistant|>", "leaves out what the user says: 'Answer"),
    (WRAPPED.replace("%s", "{{ m.text }}"), "leaves out what the user says: 'Answer"),
    (WRAPPED.replace("%s", "{{ m.content[:5] }}"), "leaves out what the user says: 'Answer"),
    (WRAPPED.replace("%s", "{{ m.content if m.content is not string }}"), "leaves out what the user says"),
]
OF_TURNS = [
    ("<s>{{ messages[0].content }}<|assistant|>", "leaves out what the assistant says: 'Thought 1"),
    ("<s>{{ messages[-1].content }}<|assistant|>", "leaves out what the user says: 'Answer"),
    (WRAPPED.replace("%s", "{{ m.content if m.role == 'user' }}"), "leaves out what the assistant says"),
    (
        "{% if messages | length > 1 %}{{ raise_exception('one turn') }}{% endif %}" + CHAT,
        "refuses the messages: 'one turn'",
    ),
]


@pytest.mark.parametrize(("chat", "said"), [*REFUSED, *OF_TURNS])
def test_a_template_that_loses_a_message_or_fails_is_a_clear_error(chat, said):
    with pytest.raises(ConfigError, match=rf"the chat template of LlamaForCausalLM {said}.*Try shape='user'"):
        shown(chat)


@pytest.mark.parametrize(("chat", "said"), OF_TURNS[:1] + OF_TURNS[-1:])
def test_the_remedy_helps(chat, said):
    assert ASKED.text.strip() in shown(chat, shape="user")


@pytest.mark.parametrize(
    ("chat", "options", "said"),
    [
        ({"tool_use": CHAT}, {}, "multiple chat templates with no default"),
        (CHAT, {"tokenize": True}, r"multiple values for keyword argument 'tokenize'"),
        (CHAT, {"continue_final_message": True}, "continue_final_message"),
    ],
)
def test_what_transformers_refuses_is_an_error_of_ours(chat, options, said):
    with pytest.raises(ConfigError, match=said):
        shown(chat, template_options=options)


# -- the reflector's prompt, by the same rules ---------------------------------------------------------------------


def test_a_reflector_that_reads_parts_sees_the_failure():
    wanted = encode_prompt(make_tokenizer(chat=CHAT), "Task 1: Wrong.")
    assert encode_prompt(make_tokenizer(chat=WRAPPED.replace("%s", PARTS)), "Task 1: Wrong.") == wanted


@pytest.mark.parametrize(("chat", "said"), REFUSED)
def test_a_reflector_whose_template_loses_the_failure_is_refused(chat, said):
    with pytest.raises(ConfigError, match=r"the chat template of the reflector .*another chat_template"):
        encode_prompt(make_tokenizer(chat=chat), "Answer. Task 1: Wrong.")
