"""Room `data`. In: labelled face sets, or a seed. Out: findings, a manifest, faces, batches.

What is measured later is only worth something because of what happens here: copies of one picture
stay on one side of a split, contradicting labels are dropped, labels that are missing are masked,
and the split depends on the seed and the pictures alone.
"""
