"""Tests against the real gateway, in front of an upstream that the tests script."""
