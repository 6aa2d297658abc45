// What a function can do with its end: each behaviour by its name.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/tencentyun/scf-go-lib/cloudfunction"
)

type event struct {
	Do   string `json:"do"`
	Ms   int    `json:"ms"`
	Mark string `json:"mark"`
}

func handle(ctx context.Context, e event) (any, error) {
	signal.Reset(syscall.SIGTERM) // a warm instance remembers what the event before has set
	told := make(chan os.Signal, 1)
	switch e.Do {
	case "ignores":
		signal.Ignore(syscall.SIGTERM)
	case "tidies":
		signal.Notify(told, syscall.SIGTERM)
	case "leaves":
		signal.Notify(told, syscall.SIGTERM)
		go func() {
			<-told
			os.Exit(0)
		}()
	case "spawns":
		for _, session := range []bool{false, true} {
			child := exec.Command("sleep", e.Mark)
			child.SysProcAttr = &syscall.SysProcAttr{Setsid: session}
			if err := child.Start(); err != nil {
				return nil, err
			}
		}
	}
	fmt.Println("begun")
	if e.Do == "floods" {
		for n := 0; n < 12000; n++ {
			fmt.Println("line", n)
		}
	}
	over := time.After(time.Duration(e.Ms) * time.Millisecond)
	if e.Do == "overstays" {
		over = nil
	}
	if e.Do == "leaves" {
		<-over
		return "DONE", nil
	}
	select {
	case <-told:
		return "END", nil
	case <-over:
	}
	switch e.Do {
	case "throws":
		return nil, errors.New("on purpose")
	case "exits 0":
		os.Exit(0)
	case "exits 1":
		os.Exit(1)
	case "crashes":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		time.Sleep(time.Minute)
	case "devours":
		var eaten [][]byte
		for {
			block := make([]byte, 8<<20)
			for i := range block {
				block[i] = 1
			}
			eaten = append(eaten, block)
			time.Sleep(5 * time.Millisecond)
		}
	}
	return "DONE", nil
}

func main() {
	cloudfunction.Start(handle)
}
