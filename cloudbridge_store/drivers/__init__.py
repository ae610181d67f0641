"""One driver per storage service. :mod:`~cloudbridge_store.drivers.base` is the contract they keep."""
