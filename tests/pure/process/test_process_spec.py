import json

from hypothesis import given
from hypothesis import strategies as st

from rookery.process.spec import VERSION, SpawnSpec, from_json, to_json

numbers = st.none() | st.integers(0, 2**31)
specs = st.builds(
    SpawnSpec,
    argv=st.lists(st.text(), min_size=1).map(tuple),
    env=st.none() | st.dictionaries(st.text(), st.text()),
    cwd=st.none() | st.text(),
    uid=numbers,
    gid=numbers,
    groups=st.none() | st.lists(st.integers(0, 2**31)).map(tuple),
    umask=st.none() | st.integers(0, 0o777),
    rlimits=st.dictionaries(st.sampled_from(["as", "nofile"]), st.integers(0)),
    session=st.booleans(),
    fds=st.dictionaries(st.integers(0, 1000), st.text()),
)


@given(specs)
def test_a_spec_survives_the_wire(spec):
    assert from_json(json.loads(json.dumps(to_json(spec)))) == spec


def test_fields_of_a_later_version_are_left_out():
    assert from_json({"argv": ["prog"], "version": VERSION + 1, "cgroup": "x"}) == SpawnSpec(("prog",))
