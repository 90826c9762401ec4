"""What every test shares: the settings of .env.test, whatever this machine's own are."""

import os

# Before any module of the package asks for them. https://docs.pytest.org/en/stable/reference/fixtures.html#conftest-py-sharing-fixtures-across-multiple-files
os.environ["APP_ENV"] = "test"
