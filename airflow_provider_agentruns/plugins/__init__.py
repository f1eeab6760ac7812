# SPDX-License-Identifier: Apache-2.0
"""The pages inside Airflow, the endpoint for webhooks, and the listener. Only API servers import all modules."""
