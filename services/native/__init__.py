"""The embedded stack: the pipeline's services as processes of this machine, without Docker.

In: settings. Out: MariaDB, Kafka, MiniStack (S3), the gateway, the sink and Spark, each on the port that its setting
names, under supervisor, which restarts what dies. State depends on PINLINE_DATA alone, so several stacks can run
side by side; downloads (PINLINE_LOCAL) are shared.

`setup.py` brings what is missing and needs nothing but Python; `launch.py` tells how a service is started; `stack.py`
starts and stops them in the order of `services.py`; `runtime.py` is what the commands of `pinline.cli.stack` use.
"""
