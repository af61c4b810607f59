"""The sets that can be fetched: where they are, what they hold, under which terms.

How far this table was verified (November 2026, without access to the hubs; in public repositories
and stored copies of pages, all third parties):

- utkface: repository, file name, commit and size stand in two projects, the sha256 in one of them,
  which also counted 23,708 JPEG files named `UTKFace/<age>_<gender>_<race>_<date>.jpg.chip.jpg`.
  The makers' own download was gone by then. The mirror calls itself MIT; the makers' terms hold.
- fairface: slug and layout stand in several projects. Which version is current could not be seen,
  so none is pinned: the first fetch notes it. Licence: the makers' README on GitHub.
- fer2013: slug, version and layout stand in many projects. Its licence could not be seen.
- celeba: slug, version and layout stand in many projects. Terms: quoted in several.

Kaggle states no sha256, so none can stand here for its sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Source:
    """One set at one hub: one archive.

    Attributes:
        name: what the user calls it.
        title: what its makers call it.
        hub: whose library downloads it.
        slug: owner and name at the hub.
        revision: Hugging Face: commit; Kaggle: version number; empty: the hub's newest at the first
            fetch, and that one from then on.
        file: Hugging Face: the file in the repository; empty for Kaggle, which packs the whole set.
        sha256: of the archive, lower-case hex; empty where nobody states it.
        expected: paths that the unpacked set must hold.
        files: how many it must hold at least.
        licence: its terms in short.
        licence_url: where they stand in full.
    """

    name: str
    title: str
    hub: Literal["huggingface", "kaggle"]
    slug: str
    revision: str
    file: str
    sha256: str
    expected: tuple[str, ...]
    files: int
    licence: str
    licence_url: str

    @property
    def page(self) -> str:
        """The set's page at the hub."""
        host = "huggingface.co" if self.hub == "huggingface" else "www.kaggle.com"
        return f"https://{host}/datasets/{self.slug}"


SOURCES = {
    source.name: source
    for source in (
        Source(
            name="utkface",
            title="UTKFace, aligned and cropped",
            hub="huggingface",
            slug="py97/UTKFace-Cropped",
            revision="e80f21fb21fa3631380c3cb634b79be3ac2f4cba",
            file="UTKFace.tar.gz",
            sha256="2c0655397b498e81b82d685ee74bee8c2e4364a5897caf3afec6ea48929024a7",
            expected=("UTKFace",),
            files=23_708,
            licence="non-commercial research only; the images belong to their owners",
            licence_url="https://susanqq.github.io/UTKFace/",
        ),
        Source(
            name="fairface",
            title="FairFace",
            hub="kaggle",
            slug="aibloy/fairface",
            revision="",
            file="",
            sha256="",
            expected=(
                "FairFace/train",
                "FairFace/val",
                "FairFace/train_labels.csv",
                "FairFace/val_labels.csv",
            ),
            files=86_744 + 10_954 + 2,
            licence="Creative Commons Attribution 4.0 (CC BY 4.0)",
            licence_url="https://github.com/joojs/fairface",
        ),
        Source(
            name="fer2013",
            title="FER-2013, a folder per expression",
            hub="kaggle",
            slug="msambare/fer2013",
            revision="1",
            file="",
            sha256="",
            expected=("train/happy", "test/happy"),
            files=28_709 + 7_178,
            licence="the terms on its page, which edgeface's authors could not see; images found by"
            " web search for a research contest, they belong to their owners",
            licence_url="https://www.kaggle.com/datasets/msambare/fer2013",
        ),
        Source(
            name="celeba",
            title="CelebA, aligned and cropped",
            hub="kaggle",
            slug="jessicali9530/celeba-dataset",
            revision="2",
            file="",
            sha256="",
            expected=(
                "img_align_celeba/img_align_celeba",
                "list_attr_celeba.csv",
                "list_eval_partition.csv",
            ),
            files=202_599 + 2,
            licence="non-commercial research only; no copy, publication or commercial use of any"
            " part of the images or of derived data; the images belong to their owners",
            licence_url="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        ),
    )
}
