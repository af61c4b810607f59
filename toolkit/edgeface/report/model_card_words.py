"""What every model card says: uses, what is ruled out, limits. No figures are here."""

from __future__ import annotations

MADE_BY = (
    "Made from the sidecar and the result files by `edgeface models --cards`; do not edit. What "
    "was not measured says so."
)

BACKBONES = {
    "cnn3": "a plain CNN of 3 blocks",
    "cnn4": "a plain CNN of 4 blocks",
    "cnn5": "a plain CNN of 5 blocks",
    "convnexttiny": "ConvNeXt-Tiny",
    "efficientnetb0": "EfficientNet-B0",
    "googlenet": "GoogLeNet",
    "inceptionv3": "InceptionV3",
    "mobilenetv1": "MobileNetV1",
    "mobilenetv2": "MobileNetV2",
    "mobilenetv3large": "MobileNetV3-Large",
    "mobilenetv3small": "MobileNetV3-Small",
    "resnet18": "ResNet18",
    "resnet50": "ResNet50",
    "vgg16": "VGG16",
    "vgg19": "VGG19",
}

UNTRAINED_USE = (
    "Its weights are random: it is for the measurement of latency, memory and size, which do not "
    "depend on them, beside other models. What it says of a face means nothing."
)

DRAWN_USE = (
    "It was trained on drawn faces, to try edgeface where there are no photographs. What it says "
    "of a photograph means nothing."
)

FIT_FOR = (
    "Research and teaching on small face-attribute models: what pruning and int8 cost, what a "
    "device can do, within the terms below.",
    "Within the same terms, sums over many faces of people who know of it and agreed, where the "
    "errors below are stated beside the sums.",
)

NOT_FOR: tuple[tuple[str, str], ...] = (
    (
        "",
        "Any decision about a person: access, sale, work, credit, insurance, schooling, medicine, "
        "policing, borders, benefits. It errs for single faces by far more than its mean error, "
        "and more for some groups than for others.",
    ),
    (
        "age",
        "Telling whether somebody is of age, or how old a child is. An apparent age is no age, and "
        "a mean error of some years is larger than what such a limit allows.",
    ),
    (
        "gender",
        "Saying what gender somebody is. It repeats how a data set labelled looks, in two classes; "
        "it knows nothing of how people see themselves, and has no word for those who are neither. "
        "Not to address people by, nor to sort, admit or watch them by.",
    ),
    (
        "expression",
        "Saying what somebody feels. It repeats what labellers called a face in one picture, and "
        "people show what they feel in other ways. Emotions of people at work or in schools must "
        "not be inferred in the European Union (Regulation 2024/1689, article 5).",
    ),
    (
        "",
        "Recognizing or following people, or working on faces in secret. It was not made to tell "
        "people apart, and sorting people by their faces is restricted or forbidden by law in many "
        "places; find out before you use it on anybody.",
    ),
    ("", "Anything that the terms of the data do not allow, see below."),
)

_IMAGES = (
    "The intervals come from drawing the test images again. They do not say how it does on another "
    "camera, in other light, or on other people than those of the data set."
)

LIMITS = {
    "untrained": ("It has learned nothing.",),
    "drawn": (
        "The figures say nothing about real faces.",
        _IMAGES,
    ),
    "faces": (
        "It is measured on the test split of the set that it was trained on, whose labels may be "
        "wrong themselves; on other data it is not measured.",
        _IMAGES,
        "Near copies of a picture are kept in one split, as far as they are found; two different "
        "photographs of one person may be on both sides where a set does not name people.",
        "A face that is cut, turned or lit otherwise than in training is judged worse. It gives an "
        "answer for anything, also for what is no face.",
        "How sure it says it is was measured on the test split only (calibration error above).",
    ),
}
