# SPDX-License-Identifier: Apache-2.0
"""
Doing things once that cost money or decide something: starting a run, answering an interrupt.

Free of Airflow: what these need of it comes in as arguments, so that each can be tried against a service
that loses, delays and repeats.
"""
