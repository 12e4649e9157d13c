// Command bench measures Airlock beside what people use today, in one run on
// one machine, and writes the figures as a page of documentation.
//
//	go run ./internal/bench [-o FILE] [-rounds N] [-entries N] [-file BYTES] [-quick] [-only REGEXP] [-skip REGEXP] [-title TEXT] [-profile]
//	    [-airlock PROGRAM] [-templates DIR] [-cache DIR]
//
// Every figure is the median of the rounds; a round measures the peer and
// Airlock one right after the other. Programs run as a user would run them:
// their wall time includes their start, their CPU time and memory come from
// the operating system. Memory of this process stays small on purpose: Linux
// counts what a parent held at the moment of starting a program as the
// program's own peak. What needs much memory here runs in a process of its own.
//
// Servers listen on 127.0.0.1 and end with the run, all files lie in one
// temporary folder that is removed. The step templates that are published and
// pulled are those of ../shared/data/step-templates, beside the checkout, unless
// -templates names another folder. The one exception is -cache: what takes
// minutes to make, the feed of a million entries, that of the receipts and the
// many Spaces, is kept there for the next run.
package main
