"""A DAG for each graph that was written down beside this file; Airflow imports it from its folder of DAGs."""

import json
from pathlib import Path

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

import peer

for file in Path(__file__).parent.glob("*.json"):
    with DAG(dag_id=file.stem, schedule=None, max_active_tasks=10_000) as dag:
        nodes: list[PythonOperator] = []
        for number, parents in enumerate(json.loads(file.read_text())):
            nodes.append(PythonOperator(task_id=str(number), python_callable=peer.task, op_args=[number]))
            for parent in parents:
                nodes[parent] >> nodes[number]
    globals()[f"dag_{file.stem}"] = dag
