from concurrent.futures import ThreadPoolExecutor

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from spectral_select._utils.threads import map_in_threads, one_blas_thread


def blas_threads():
    return [i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"]


def test_limit_is_undone_when_the_last_user_leaves():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with one_blas_thread() as outer, one_blas_thread() as inner:
            assert set(blas_threads()) == {1}
        assert outer == inner == 2
        assert blas_threads() == before


def test_overlapping_users_on_several_threads():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda i: list(map_in_threads(abs, [-i, i])), range(50)))
        assert results == [[i, i] for i in range(50)]
        assert blas_threads() == before


def test_errors_propagate_and_the_limit_is_undone():
    def fail(i):
        raise ZeroDivisionError(i)

    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with pytest.raises(ZeroDivisionError):
            list(map_in_threads(fail, [1, 2, 3]))
        assert blas_threads() == before
