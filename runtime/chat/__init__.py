"""Asking a run's models: one process that holds them, and lines of JSON between it and whoever asks.

The process (``server.py``) reads a request a line and answers with any number of lines. Requests::

    {"op": "ask", "model": "tuned", "messages": [{"role": "user", "content": "…"}], "max_new_tokens": 200,
     "temperature": 0.0}
    {"op": "batch", "model": "tuned", "talks": [[{"role": …}], …], "max_new_tokens": 200, "temperature": 0.0}

Answers: ``{"k": "ready", "models": […]}`` once, when the models are loaded; ``{"k": "note", "text": …}`` on work that
takes time; then for each request ``{"k": "text", "text": …}`` as it is written (for a batch one ``{"k": "answer",
"text": …, "tokens": n, "ended": …}`` a talk) and ``{"k": "done", "tokens": n, "ended": true, "seconds": s}``; or
``{"k": "error", "code": …, "message": …, "help": …}``. SIGINT breaks off the answer under way.
"""
