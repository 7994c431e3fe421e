"""One small problem by hand in each layout.

Two groups, two rows with capacities 5 and 7. Group 0: profit 4.5 for (1, 0), profit 10 for (3, 2).
Group 1: profit 6 for (2, 5), profit 0 for (0, 0), profit 8 for (3, 6). Best: 10 + 6 = 16, which
uses (5, 7).
"""

from __future__ import annotations

from solvers import AllocationProblem

INST = """2 2
5 7
2
4.5 1 0
10 3 2
3
6 2 5
0 0 0
8 3 6
"""

# Khan's layout has equally many items in every group: group 0 has its second item twice.
KHAN = """
 2  3 2
 5  7
 1
 4.50  1  0
 10.00  3  2
 10.00  3  2
 2
 6.00  2  5
 0.00  0  0
 8.00  3  6
 Solutions by  HEU
 2  1  16.00
 Upper bound
 16.25
"""

# Tabs, carriage returns and empty cells, as the public files have them.
HIREMATH_HILL = (
    "1\t1\t2\t2\t\r\n\t5\t7\r\n1\t\t\r\n3\t1\t0\r\n9\t3\t2\r\n"
    "2\t2\t1\t1\r\n\t4\r\n1\t\r\n7\t2\r\n2\t\r\n8\t2\r\n"
)

COST = [-4.5, -10.0, -6.0, 0.0, -8.0]
USAGE = [[1, 3, 2, 0, 3], [0, 2, 5, 0, 6]]


def by_hand() -> AllocationProblem:
    """The problem as arrays."""
    return AllocationProblem(COST, USAGE, [5, 7], [0, 0, 1, 1, 1])
