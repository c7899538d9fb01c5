"""The forward strategies: how time is unrolled."""

from typing import ClassVar

from pydantic import PositiveInt

from membrane.schema.node import Node


class Framework(Node):
    """A forward strategy; ``timesteps_in_data`` says whether it expects [N,T,…] or [N,…]."""

    timesteps_in_data: ClassVar[bool] = False
    single_step: ClassVar[bool] = False


class SingleStep(Framework):
    choice = "singlestep"
    public = "membrane.framework.SingleStep"
    single_step = True


class MultiStep(Framework):
    choice = "multistep"
    public = "membrane.framework.MultiStep"


class SingleStepTID(Framework):
    choice = "singlestep_tid"
    public = "membrane.framework.SingleStepTID"
    single_step = True
    timesteps_in_data = True


class MultiStepTID(Framework):
    choice = "multistep_tid"
    public = "membrane.framework.MultiStepTID"
    timesteps_in_data = True


class CutInTime(Framework):
    """The single-step frameworks that cut the gradient in time, and run again what they kept no graph of."""

    single_step = True
    keep_graph: bool = False


class TBPTT(CutInTime):
    choice = "tbptt"
    public = "membrane.framework.TBPTT"
    truncation: PositiveInt


class TBPTTTID(TBPTT):
    choice = "tbptt_tid"
    public = "membrane.framework.TBPTTTID"
    timesteps_in_data = True


class SLTT(CutInTime):
    choice = "sltt"
    public = "membrane.framework.SLTT"


class SLTTTID(SLTT):
    choice = "sltt_tid"
    public = "membrane.framework.SLTTTID"
    timesteps_in_data = True


class OTTT(CutInTime):
    choice = "ottt"
    public = "membrane.framework.OTTT"


class OTTTTID(OTTT):
    choice = "ottt_tid"
    public = "membrane.framework.OTTTTID"
    timesteps_in_data = True


FRAMEWORKS = (SingleStep, MultiStep, SingleStepTID, MultiStepTID, TBPTT, TBPTTTID, SLTT, SLTTTID, OTTT, OTTTTID)
