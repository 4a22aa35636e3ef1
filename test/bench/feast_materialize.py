"""Times Python Feast's materialize: repo view start end. Prints the seconds on its last line."""

import sys
import time
from datetime import datetime

from feast import FeatureStore

repo, view, start, end = sys.argv[1:]
store = FeatureStore(repo_path=repo)
began = time.perf_counter()
store.materialize(
    start_date=datetime.fromisoformat(start),
    end_date=datetime.fromisoformat(end),
    feature_views=[view],
)
print(time.perf_counter() - began)
