"""Many movies: a pool of processes, atomic results, resume."""

# Nothing heavy is imported here: a worker process imports this package before it limits the threads of the
# numerical libraries, which read their limits when they are first imported.
from migradetect.batch._job import AnalyzeFunction, Event, Outcome
from migradetect.batch._lock import OutputLock
from migradetect.batch._run import BatchSummary, auto_workers, run_batch

__all__ = ["AnalyzeFunction", "BatchSummary", "Event", "Outcome", "OutputLock", "auto_workers", "run_batch"]
