"""The 36 subsets of MMEB by meta-task and domain, as published (arXiv:2410.05160)."""

META_TASKS: dict[str, tuple[str, ...]] = {
    task: tuple(subsets.split())
    for task, subsets in {
        "classification": "ImageNet-1K N24News HatefulMemes VOC2007 SUN397 "
        "Place365 ImageNet-A ImageNet-R ObjectNet Country211",
        "VQA": "OK-VQA A-OKVQA DocVQA InfographicsVQA ChartQA Visual7W "
        "ScienceQA VizWiz GQA TextVQA",
        "retrieval": "VisDial CIRR VisualNews_t2i VisualNews_i2t MSCOCO_t2i MSCOCO_i2t NIGHTS "
        "WebQA FashionIQ Wiki-SS-NQ OVEN EDIS",
        "visual grounding": "MSCOCO RefCOCO RefCOCO-Matching Visual7W-Pointing",
    }.items()
}
#: Subsets of which MMEB-train has no training split.
OUT_OF_DOMAIN = {
    *META_TASKS["classification"][5:],
    *META_TASKS["VQA"][6:],
    *("FashionIQ", "Wiki-SS-NQ", "OVEN", "EDIS"),
    *("RefCOCO", "RefCOCO-Matching", "Visual7W-Pointing"),
}
TASK_OF = {subset: task for task, subsets in META_TASKS.items() for subset in subsets}
