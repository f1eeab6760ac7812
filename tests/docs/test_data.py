# SPDX-License-Identifier: Apache-2.0
"""Code blocks with data are valid."""

from __future__ import annotations

import configparser
import json

import pytest
import yaml
from airflow.configuration import conf

from airflow_provider_agentruns.client.connection_settings import Settings
from airflow_provider_agentruns.plugins.agent_runs import PREFIX
from tests.docs.blocks import Block, blocks


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json(block: Block) -> None:
    value = json.loads(block.text)
    if value.keys() <= Settings.model_fields.keys():
        Settings.from_parts(password="mk_test_offline", extra=value)
    else:
        assert value.keys() & {"decision", "event", "interrupt_id"}, "no check fits this block"


@pytest.mark.parametrize("block", [block for block in blocks("ini") if "[pytest]" not in block.text], ids=str)
def test_airflow_knows_the_options_of_an_ini(block: Block) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(block.text)
    assert parser.sections()
    for section in parser.sections():
        for option, value in parser[section].items():
            assert option in conf.configuration_description[section]["options"], f"[{section}] {option}"
            assert value


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml(block: Block) -> None:
    assert yaml.safe_load(block.text)


@pytest.mark.parametrize("block", blocks("nginx"), ids=str)
def test_nginx(block: Block) -> None:
    lines = [line.strip() for line in block.text.splitlines() if line.strip()]
    assert all(line.endswith((";", "{", "}")) for line in lines)
    assert block.text.count("{") == block.text.count("}")
    assert any(line in lines for line in (f"location {path}{PREFIX}/webhooks/ {{" for path in ("", "/airflow")))
    # Airflow expects complete paths.
    assert all(line.endswith(":8080;") for line in lines if line.startswith("proxy_pass"))
