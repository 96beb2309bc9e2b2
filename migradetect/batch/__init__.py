"""Many movies: pools of processes and clusters, shards, atomic results, resume."""

# Nothing heavy is imported here: a worker process imports this package before it limits the threads of the
# numerical libraries, which read their limits when they are first imported.
from migradetect.batch._dask import dask_executor
from migradetect.batch._job import AnalyzeFunction, Event, Outcome
from migradetect.batch._lock import OutputLock
from migradetect.batch._merge import merge_shards
from migradetect.batch._resources import WorkerPlan, auto_workers, available_cores, peak_bytes, plan_workers
from migradetect.batch._run import BatchSummary, run_batch
from migradetect.batch._shards import SHARDS, Division, divide, parse_shard, shard_folder
from migradetect.batch._slurm import SlurmJob, slurm_script
from migradetect.batch._work import Work, estimate_work

__all__ = [
    "SHARDS",
    "AnalyzeFunction",
    "BatchSummary",
    "Division",
    "Event",
    "Outcome",
    "OutputLock",
    "SlurmJob",
    "Work",
    "WorkerPlan",
    "auto_workers",
    "available_cores",
    "dask_executor",
    "divide",
    "estimate_work",
    "merge_shards",
    "parse_shard",
    "peak_bytes",
    "plan_workers",
    "run_batch",
    "shard_folder",
    "slurm_script",
]
