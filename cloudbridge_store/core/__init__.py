"""Machinery, written once for every provider. Not public: what users need is re-exported by the package."""
