"""A chat gateway as people write it today: FastAPI, uvicorn and the openai SDK, conversations in memory.

OPENAI_BASE_URL and OPENAI_API_KEY come from the environment; the port is the argument.
"""

import sys
import uuid

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from openai import AsyncOpenAI

app = FastAPI()
client = AsyncOpenAI(max_retries=0)
sessions: dict[str, list[dict]] = {}


@app.websocket("/ws")
async def chat(socket: WebSocket):
    await socket.accept()
    messages = sessions.setdefault(uuid.uuid4().hex, [])
    try:
        while True:
            question = await socket.receive_json()
            messages.append({"role": "user", "content": question["message"]})
            answer = ""
            stream = await client.chat.completions.create(model="mock", messages=messages, stream=True)
            async for chunk in stream:
                text = chunk.choices[0].delta.content if chunk.choices else None
                if text:
                    await socket.send_json({"type": "delta", "off": len(answer), "text": text})
                    answer += text
            messages.append({"role": "assistant", "content": answer})
            await socket.send_json({"type": "run.done", "status": "complete", "len": len(answer)})
    except WebSocketDisconnect:
        pass


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", ws_per_message_deflate=False)
