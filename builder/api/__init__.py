"""What the commands do, as functions for notebooks and scripts: plan, build, release, publish.

They print nothing unless `show` is set, return typed results, raise
`PolysceneError`, and work inside a running event loop.
"""

from builder.api.build import build
from builder.api.plan import BuildPlan, ModelPrice, plan
from builder.api.publish import publish
from builder.api.release import release

__all__ = ["BuildPlan", "ModelPrice", "build", "plan", "publish", "release"]
