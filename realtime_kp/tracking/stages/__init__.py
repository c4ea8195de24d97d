"""The stages of the hybrid tracker: functions that each do one step on the `FrameState` of a frame.

`hybrid_method` lists them in their order. A stage reads and writes the state and returns nothing.
"""
