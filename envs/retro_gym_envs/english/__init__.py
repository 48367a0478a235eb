"""How the scripted actors read English: clauses, what each is for or against, and the names in it."""
