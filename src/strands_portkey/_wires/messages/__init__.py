"""Anthropic's Messages: `/v1/messages`."""

from __future__ import annotations
