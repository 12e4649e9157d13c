// Package killtest lets the built program meet faults, and then reads what is
// left: it is killed while it publishes, again and again, while two agents share the
// work, and while it takes in a medium at chosen calls to the kernel, which also fail
// there as on a full disk and on a medium that was pulled out; and networks with a
// server in each are cut apart. It has tests only. Those at chosen calls are for Linux
// on x86-64, and that of networks for Linux; a machine that lets no program be traced,
// or no namespaces be made, skips them.
package killtest
