"""Public sets of faces: downloaded through a hub's own library, checked, unpacked, recorded.

In: the name of a set and a folder to make. Out: the folder with the set's own files and layout, and
a receipt beside it. The libraries are an extra (`pip install 'edgeface[fetch]'`), imported when a
set is fetched and not before. Nothing here reads an image or a label.
"""
