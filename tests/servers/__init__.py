"""Servers that the tests run against, each in a process of its own on this machine.

Every module is a class that starts its server, and stops it, and a program that is the server: with ``tests`` as
``PYTHONPATH``, ``python -P -m servers.moto /tmp/moto 8080`` serves until its standard input ends.
"""
