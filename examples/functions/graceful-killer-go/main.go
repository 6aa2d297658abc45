package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tencentyun/scf-go-lib/cloudfunction"
)

type DefineEvent struct {
	// test event define
	Key1 string `json:"key1"`
	Key2 string `json:"key2"`
}

func hello(ctx context.Context, event DefineEvent) (string, error) {
	go graceshutdown()
	sleepNum := 0
	for {
		sleepNum++
		fmt.Println("sleep:", sleepNum)
		time.Sleep(time.Second)
	}
}

// Register signal processing function
func graceshutdown() {
	sigs := make(chan os.Signal, 1)
	signal.Notify(sigs, syscall.SIGTERM)
	sig := <-sigs
	log.Printf("receive signal %s", sig.String())
	//do something before shutdown.
	os.Exit(0)
}

func main() {
	// Make the handler available for Remote Procedure Call by Cloud Function
	cloudfunction.Start(hello)
}
