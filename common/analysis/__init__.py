"""Reading tasks: what kind each is, how risky, and how to do it.

Each layer knows only the next, outermost first; `chain` puts them together:

    rules       what costs nothing
    cache       what was asked once
    cascade     a small model, and a strong one for a reason
    packs       several tasks in one call            (batches: the same, within hours)
    warm, breaker: calls that had better wait
    money.door  the one paid door (I7)               (batches.door: the same, for batches)
    providers   who is asked

`call` is what they say to each other below the packs, `ports.Analyzer` above.
"""
