"""A template's syntax tree, changed so that the sandbox sees what Jinja2 would do behind its back.

Calls, filters, tests and arithmetic already pass through the environment. Loops, comparisons, slices, tuples
and ``~`` are compiled to plain Python; here each goes through a filter of the environment's own. Filters are
taken, and not functions, because a template can give a function's name to something else.
"""

from __future__ import annotations

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

NODES_PER_STEP = 4
"""Syntax nodes of a body that one step pays for."""

_SHORT_TEXT, _SHORT_LIST = 250, 16
_CALLED = (nodes.Macro, nodes.CallBlock, nodes.Block)


def watched(tree: nodes.Template) -> int:
    """Change the tree in place; the steps that one pass of its largest callable or loop body costs."""
    transformer = _Watched()
    transformer.measure(tree)
    transformer.visit(tree)
    return transformer.dearest


# ruff: noqa: N802 - the visitor finds its methods by the names of the nodes


class _Watched(NodeTransformer):
    def __init__(self) -> None:
        self.dearest = 1
        self._cost: dict[int, int] = {}

    def measure(self, node: nodes.Node) -> int:
        """The nodes at and below one; notes what a pass of each loop costs."""
        size = 1 + sum(self.measure(child) for child in node.iter_child_nodes())
        if isinstance(node, (nodes.For, *_CALLED)):
            self._cost[id(node)] = cost = 1 + size // NODES_PER_STEP
            self.dearest = max(self.dearest, cost)
        return size

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        assert isinstance(node.iter, nodes.Expr)
        node.iter = _through("_counted", node.iter, nodes.Const(self._cost[id(node)], lineno=node.lineno))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _through("_joined", *node.nodes)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = _through("_weighed", node.node)
        return node

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        # Lists are weighed where they are used; a tuple may become a key, and then be gone through at once.
        return node if node.ctx != "load" or _is_short(node) else _through("_made", node)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        left, compared = node.expr, []
        for operand in node.ops:
            compared.append(_compared(left, operand.op, operand.expr))
            left = operand.expr
        whole = compared[0]
        for one in compared[1:]:  # a < b < c
            whole = nodes.And(whole, one, lineno=node.lineno)
        return whole


def _compared(left: nodes.Expr, operator: str, right: nodes.Expr) -> nodes.Expr:
    line = left.lineno
    if operator in {"in", "notin"} and not _is_short(right):
        within = _through("_within", left, right)
        return within if operator == "in" else nodes.Not(within, lineno=line)
    if not (_is_short(left) or _is_short(right)):  # what is compared with something short is soon told apart
        left, right = _through("_weighed", left), _through("_weighed", right)
    return nodes.Compare(left, [nodes.Operand(operator, right, lineno=line)], lineno=line)


def _is_short(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Const):
        return not isinstance(node.value, str) or len(node.value) <= _SHORT_TEXT
    if isinstance(node, nodes.List | nodes.Tuple):
        return len(node.items) <= _SHORT_LIST and all(
            isinstance(item, nodes.Const) and _is_short(item) for item in node.items
        )
    return False


def _through(name: str, value: nodes.Expr, *others: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(others), [], None, None, lineno=value.lineno)
