// A session with AWS's SDK for JavaScript, unmodified: create, put, split, read the lineage, merge, delete.
// node session.mjs ENDPOINT STREAM FOLDER_OF_NODE_MODULES; prints what was read as JSON.
import { createRequire } from "node:module";

const [endpoint, stream, folder] = process.argv.slice(2);
const kinesisModule = createRequire(`${folder}/session.js`)("@aws-sdk/client-kinesis");
const { KinesisClient } = kinesisModule;
const client = new KinesisClient({ endpoint, region: "us-east-1", credentials: { accessKeyId: "test", secretAccessKey: "test" } });
const call = (name, input) => client.send(new kinesisModule[`${name}Command`](input));
const StreamName = stream;

async function active() {
  for (;;) {
    const { StreamDescriptionSummary } = await call("DescribeStreamSummary", { StreamName });
    if (StreamDescriptionSummary.StreamStatus === "ACTIVE") return StreamDescriptionSummary;
    await new Promise((done) => setTimeout(done, 50));
  }
}

await call("CreateStream", { StreamName, ShardCount: 1 });
await active();
const put = async (text, key) =>
  (await call("PutRecord", { StreamName, Data: Buffer.from(text), PartitionKey: key })).SequenceNumber;
const written = [await put("first", "a")];
const { Records } = await call("PutRecords", {
  StreamName,
  Records: ["b", "c", "d"].map((key) => ({ Data: Buffer.from(`batch ${key}`), PartitionKey: key })),
});
written.push(...Records.map((record) => record.SequenceNumber));
await call("SplitShard", { StreamName, ShardToSplit: "shardId-000000000000", NewStartingHashKey: (2n ** 127n).toString() });
await active();
written.push(await put("after the split", "e"));
await call("MergeShards", {
  StreamName, ShardToMerge: "shardId-000000000001", AdjacentShardToMerge: "shardId-000000000002",
});
await active();
written.push(await put("after the merge", "f"));

const read = [];
const seen = new Set();
const waiting = ["shardId-000000000000"];
while (waiting.length) {
  const ShardId = waiting.shift();
  if (seen.has(ShardId)) continue;
  seen.add(ShardId);
  let { ShardIterator } = await call("GetShardIterator", { StreamName, ShardId, ShardIteratorType: "TRIM_HORIZON" });
  while (ShardIterator) {
    const answer = await call("GetRecords", { ShardIterator });
    for (const record of answer.Records) {
      if (!(record.ApproximateArrivalTimestamp instanceof Date)) throw new Error("no arrival time");
      read.push({ shard: ShardId, sequence: record.SequenceNumber, text: Buffer.from(record.Data).toString(), key: record.PartitionKey });
    }
    waiting.push(...(answer.ChildShards ?? []).map((child) => child.ShardId));
    if (!answer.Records.length && answer.MillisBehindLatest === 0) break;
    ShardIterator = answer.NextShardIterator;
  }
}
let missing = "";
try {
  await call("DescribeStream", { StreamName: "no-such-stream" });
} catch (error) {
  missing = error.name;
}
await call("DeleteStream", { StreamName });
client.destroy();
console.log(JSON.stringify({ written, read, missing }));
