// Tells the benchmark, without a request, what this process has used. Each server loads it first.
process.on('message', question => {
  if (question === 'cpu') {
    const { user, system } = process.cpuUsage();
    process.send!(user + system);
  } else if (question === 'heap') {
    gc!();
    process.send!(process.memoryUsage().heapUsed);
  }
});
