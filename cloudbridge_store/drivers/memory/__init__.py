"""Objects in the memory of this process: for tests, and for data that need not outlive the program."""

from cloudbridge_store.drivers.memory.driver import MemoryDriver

__all__ = ["MemoryDriver"]
