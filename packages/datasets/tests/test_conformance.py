"""The laws of every data set, for those that need no files."""

import saltation_datasets as sd
from saltation_testing import AbstractDatasetConformance


class TestYinYang(AbstractDatasetConformance):
    options = {"train_size": 60, "validation_size": 20, "test_size": 20}

    def load(self, **options):
        return sd.load_yinyang(**options)


class TestDigits(AbstractDatasetConformance):
    def load(self, **options):
        return sd.load_digits(**options)
