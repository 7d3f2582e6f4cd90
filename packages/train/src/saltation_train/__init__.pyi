from ._evaluate import evaluate as evaluate
from ._loop import train as train
from ._optimiser import make_optimiser as make_optimiser
from ._recipe import Recipe as Recipe
from ._report import report as report
from ._run import Run as Run
from ._run import load_run as load_run
from ._score import Scores as Scores
