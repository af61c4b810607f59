"""Room `report`. In: records. Out: tables for the terminal and for Markdown, and pages.

Nothing is measured here, and no number is computed that the records do not support: what was not
measured reads "not measured".
"""
