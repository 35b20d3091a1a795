"""What Hypothesis tries: the same cases in each run, or 20,000 new ones with `--hypothesis-profile long`."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("steady", database=None, deadline=None, derandomize=True)
settings.register_profile("long", settings.get_profile("steady"), max_examples=20_000, derandomize=False)
settings.load_profile("steady")
