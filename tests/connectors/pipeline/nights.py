"""A night of one source, as a sync carries it out, without prompts and review."""

from connectors.pipeline.run import open_run


async def night(source, persona, state):
    run = await open_run(source, persona=persona, state=state, purpose="sync")
    async for head in run.batches():
        await run.deliver(head.id)
    await run.collect()
    await run.change()
    await run.verify()
    return await run.finish()
