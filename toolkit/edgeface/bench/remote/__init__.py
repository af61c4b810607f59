"""Runs the bench's processes on another machine.

In: a device of `devices.toml`. Out: what they printed.

Agentless: the device needs Python 3.9 and nothing of edgeface's; what runs there is pushed.
"""
