"""Instances of the MMKP: readers of the public layouts, a writer, generated families, specs."""

from solvers.instances.families import FAMILIES as FAMILIES
from solvers.instances.families import family_parameters as family_parameters
from solvers.instances.families import generate as generate
from solvers.instances.files import InstanceFile as InstanceFile
from solvers.instances.files import read_instance_file as read_instance_file
from solvers.instances.hiremath_hill import parse_hiremath_hill as parse_hiremath_hill
from solvers.instances.inst import inst_text as inst_text
from solvers.instances.inst import parse_inst as parse_inst
from solvers.instances.inst import write_inst as write_inst
from solvers.instances.instance import Instance as Instance
from solvers.instances.khan import parse_khan as parse_khan
from solvers.instances.profits import profits as profits
from solvers.instances.resolve import instances as instances
from solvers.instances.resolve import load_instance as load_instance

__all__ = [
    "FAMILIES",
    "Instance",
    "InstanceFile",
    "family_parameters",
    "generate",
    "inst_text",
    "instances",
    "load_instance",
    "parse_hiremath_hill",
    "parse_inst",
    "parse_khan",
    "profits",
    "read_instance_file",
    "write_inst",
]
