"""The models of a run, opened: where each is reached, how fast, at what price."""

from dataclasses import dataclass, replace

from builder.config import BuildConfig, TeacherConfig
from builder.cost.price import Price, price_of
from builder.cost.upper_bound import CostUpperBound
from builder.endpoint.batch_api import BatchApi
from builder.endpoint.client import Endpoint
from builder.endpoint.no_response import NoResponseWatch
from builder.endpoint.pace import Pace
from builder.endpoint.replicas import ReplicaStop
from builder.endpoint.requests import RequestFactory
from builder.endpoint.stop import Stop
from builder.generate.batch import BatchAsker
from builder.generate.batch_courier import BatchCourier
from builder.generate.engine import Teacher
from builder.generate.live import LiveAsker
from builder.generate.refusals import Settings
from builder.generate.replicas import Replica, ReplicaAsker
from builder.generate.run_context import RunContext
from builder.generate.workspace_config import key_tokens_of
from builder.images.store import ImageStore
from builder.plan import targets_of
from builder.prompts import templates_of
from schemas.errors import PolysceneError


@dataclass(frozen=True, slots=True)
class OpenModel:
    """One model of a run.

    Args:
        teacher: As the engine asks it.
        endpoints: Where it is reached: the first address, then its replicas.
        paces: How fast, of each.
        stops: What ends the sending to each.
        courier: Carries its batches, those of earlier runs among them.
        batch: Collects its requests in batch mode, else None.
    """

    teacher: Teacher
    endpoints: tuple[Endpoint, ...]
    paces: tuple[Pace, ...]
    stops: tuple[Stop, ...]
    courier: BatchCourier
    batch: BatchAsker | None

    def watches(self, run: RunContext) -> list[NoResponseWatch]:
        """What gives an endpoint up when it hangs, one each."""
        return [
            NoResponseWatch(endpoint, pace, stop, run.say)
            for endpoint, pace, stop in zip(self.endpoints, self.paces, self.stops, strict=True)
        ]

    async def close(self) -> None:
        if self.batch is not None:
            self.batch.close()
        for endpoint in self.endpoints:
            await endpoint.close()


def models_of(config: BuildConfig) -> dict[str, TeacherConfig]:
    """A build's models by role: its teachers, and "judge" if one is configured."""
    return config.writers | ({"judge": config.judge} if config.judge else {})


def has_prices(config: BuildConfig) -> bool:
    """Whether the price of every model is known."""
    return all(price_of(model) is not None for model in models_of(config).values())


def require_prices(config: BuildConfig) -> None:
    """Refuses a limit on money where a price is not known.

    Raises:
        PolysceneError: Names the model, and where to give its price.
    """
    for role, model in models_of(config).items():
        if price_of(model) is None:
            raise PolysceneError(
                f"--max-usd: the price of {model.model} is not known. Give "
                f"`{setting_of(role)}.prices` in the configuration, or use --max-requests."
            )


def open_model(
    run: RunContext, role: str, config: BuildConfig, store: ImageStore, *, batch: bool
) -> OpenModel:
    """Opens a model.

    Args:
        run: The run it is part of.
        role: A key of `models_of`.
        config: The build.
        store: Images that requests show.
        batch: Whether it is asked through the Batch API.

    Raises:
        EndpointError: There is no key for it.
    """
    model = models_of(config)[role]
    endpoint = Endpoint(model)
    key_tokens = key_tokens_of(run.ledger, role) if role in config.writers else None
    factory = request_factory(model, config, store, key_tokens)
    price = price_of(model)
    # The table lists prices of live calls, which batches halve; prices of the configuration are
    # those of whatever it is used for.
    batch_price = price.halved() if price and model.prices is None else price
    price = batch_price if batch else price
    upper_bound = _upper_bound(price, factory, config, store) if price else None
    courier = BatchCourier(
        run, role, BatchApi(endpoint), model.structured_output, config.batch, batch_price
    )
    courier.delete_leftovers()
    if batch:
        asker = BatchAsker(run, courier, factory, config.pace.max_attempts, upper_bound)
        pace = Pace(config.pace, run.stop)
        teacher = Teacher(factory, asker, price, upper_bound)
        return OpenModel(teacher, (endpoint,), (pace,), (run.stop,), courier, asker)
    wanted = frozenset(targets_of(config).cells)
    settings = Settings(setting_of(role), config.images.max_side_px, wanted.__contains__)
    siblings: list[ReplicaStop] = []
    replicas: list[Replica] = []
    endpoints = [endpoint, *(_endpoint_at(model, url) for url in model.replicas)]
    for one in endpoints:
        stop = ReplicaStop(run.stop, one.address, siblings, run.say) if model.replicas else run.stop
        pace, own_run = Pace(config.pace, stop), replace(run, stop=stop)
        live = LiveAsker(own_run, one, factory, pace, upper_bound, price, settings)
        replicas.append(Replica(live, pace, stop))
    asker = ReplicaAsker(run.stop, replicas) if model.replicas else replicas[0].asker
    return OpenModel(
        Teacher(factory, asker, price, upper_bound),
        tuple(endpoints),
        tuple(replica.pace for replica in replicas),
        tuple(replica.stop for replica in replicas),
        courier,
        None,
    )


def setting_of(role: str) -> str:
    """The section of the configuration that a role's settings stand in."""
    name = role.removeprefix("teacher_")
    return role if name == role else f"teachers.{name}"


def _endpoint_at(model: TeacherConfig, url: str) -> Endpoint:
    return Endpoint(model.model_copy(update={"base_url": url}))


def request_factory(
    model: TeacherConfig, config: BuildConfig, store: ImageStore, key_tokens: int | None = None
) -> RequestFactory:
    """Makes requests with images no larger than the configuration allows."""
    side = config.images.max_side_px
    own_fields = templates_of(config).own_fields
    return RequestFactory(
        model, lambda sha256: store.data_url(sha256, side), key_tokens, own_fields
    )


def _upper_bound(
    price: Price, factory: RequestFactory, config: BuildConfig, store: ImageStore
) -> CostUpperBound:
    def image_size(sha256: str) -> tuple[int, int]:
        record = store.record(sha256)
        return record.width, record.height

    return CostUpperBound(price, factory, image_size, config.images.max_side_px)
