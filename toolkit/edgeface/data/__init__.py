"""Room `data`. In: a folder of labelled faces, or a seed. Out: manifest, splits, faces, batches.

What is measured later is only worth something because of what happens here: copies of one picture
stay on one side of a split, contradicting labels are dropped, and the split depends on the seed
and the pictures alone.
"""
