"""What real Feast decides about permissions; ops of feast_driver.py."""

import re

from feast.errors import FeastPermissionError
from feast.feast_object import ALL_RESOURCE_TYPES
from feast.permissions.action import AuthzedAction
from feast.permissions.enforcer import enforce_policy
from feast.permissions.permission import Permission
from feast.permissions.policy import RoleBasedPolicy
from feast.permissions.user import User
from feast.protos.feast.core.Permission_pb2 import Permission as PermissionProto

CLASSES = {cls.__name__: cls for cls in ALL_RESOURCE_TYPES}


def permission_of(hex):
    return Permission.from_proto(PermissionProto.FromString(bytes.fromhex(hex)))


def resource_of(given):
    cls = CLASSES[given["type"]]
    if cls is Permission:
        return Permission(
            given["name"], policy=RoleBasedPolicy(roles=["x"]), required_tags=given["tags"]
        )
    bare = type(cls.__name__, (cls,), {"__str__": lambda self: self.name})
    bare.__abstractmethods__ = frozenset()
    resource = object.__new__(bare)
    resource.name = given["name"]
    return resource


def op_decisions(cases):
    """Whether each case's user may do its actions to its resource."""
    return [decision(**case) for case in cases]


def decision(permissions, user, resource, actions):
    try:
        enforce_policy(
            [permission_of(hex) for hex in permissions],
            User(user["name"], user["roles"], user["groups"], user["namespaces"]),
            [resource_of(resource)],
            [AuthzedAction[action] for action in actions],
        )
        return True
    except FeastPermissionError:
        return False


def op_permission_bytes(hexes):
    """Read and written again by Feast, whose objects know no project."""
    return [permission_of(hex).to_proto().SerializeToString().hex() for hex in hexes]


def op_resource_types():
    """Each class with the classes among the managed ones that it extends."""
    return {
        name: [base.__name__ for base in cls.__mro__ if base in ALL_RESOURCE_TYPES]
        for name, cls in CLASSES.items()
    }


def op_fullmatch(pairs):
    return [fullmatch(pattern, text) for pattern, text in pairs]


def fullmatch(pattern, text):
    try:
        return bool(re.fullmatch(pattern, text))
    except re.error as error:
        return str(error)
