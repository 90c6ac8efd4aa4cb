// Starts `policyc lsp` for *.thp files; everything else is done by that server.
"use strict";

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function serverOptions() {
  const settings = vscode.workspace.getConfiguration("policyc");
  const args = ["lsp", "--page-size", settings.get("pageSize", "4K")];
  const profiles = settings.get("profiles", []);
  if (profiles.length > 0) {
    args.push("--profile", profiles.join(","));
  }
  return { command: settings.get("command", "policyc"), args };
}

async function start() {
  client = new LanguageClient("policyc", "policyc", serverOptions(), {
    documentSelector: [{ language: "policyc" }],
  });
  try {
    await client.start();
  } catch (error) {
    vscode.window.showErrorMessage(
      `policyc lsp does not start (${error.message}). ` +
        "Install it with: pip install 'policyc[lsp]', or set policyc.command."
    );
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running !== undefined && running.needsStop()) {
    await running.stop();
  }
}

async function restart() {
  await stop();
  await start();
}

exports.activate = async function (context) {
  context.subscriptions.push(
    vscode.commands.registerCommand("policyc.restart", restart),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("policyc")) {
        restart();
      }
    })
  );
  await start();
};

exports.deactivate = stop;
