"""Room `compress`. In: a trained Keras model. Out: a smaller plain Keras model, and what was cut.

Pruning removes channels: the result has no masks and no wrappers, and needs fine-tuning.

    graph (rules, union)   which channels can only go together
    importance, taylor     how much each matters
    costs, allocate        how many each group gives up
    cut                    the smaller model
    prune                  all of it in one call
    magnitude, cluster     zeros, or few values: a smaller download (TFMOT)
    qat (fold, rounding)   trained on with int8 rounding in place (TFMOT)
    tfmot                  the one import of TFMOT
"""
