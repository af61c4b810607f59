"""Room `data`, adapters. In: a folder (or table) of one format. Out: a `Listing` of its labels.

Nothing outside the folder is opened, no table is held in memory as a whole, and what cannot be
used is in `Listing.left_out` with a reason of one line. `detect.list_dataset` is the way in.
"""
