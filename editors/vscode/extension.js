// Starts `policyc lsp` for *.thp files; everything else is done by that server.
"use strict";

const { spawn } = require("node:child_process");
const vscode = require("vscode");
const { CloseAction, LanguageClient } = require("vscode-languageclient/node");

// Until a server has answered, the extension itself says why it does not start.
class Client extends LanguageClient {
  constructor(server, outputChannel) {
    super("policyc", "policyc", server, {
      documentSelector: [{ language: "policyc" }],
      outputChannel,
      initializationFailedHandler: () => false, // no other try, and no message of the library's
    });
    this.answered = false;
    const handler = this.clientOptions.errorHandler;
    const closed = handler.closed.bind(handler);
    handler.closed = () =>
      this.answered ? closed() : { action: CloseAction.DoNotRestart, handled: true };
  }

  showNotificationMessage(type, message) {
    if (this.answered) {
      super.showNotificationMessage(type, message);
    }
  }
}

let client;
let output;
let turn = Promise.resolve();

// Settings may change while a server starts: one start or stop at a time.
function inTurn(action) {
  turn = turn.then(action, action);
  return turn;
}

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
  const server = serverOptions();
  client = new Client(server, output);
  try {
    await client.start();
    if (!client.isRunning()) {
      throw new Error("the server has ended"); // of which start() may say nothing
    }
    client.answered = true;
  } catch (error) {
    client.error("policyc lsp does not start", error, false);
    tell(await reason(server));
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running !== undefined) {
    await running.dispose().catch(() => undefined); // one that never started cannot be stopped
  }
}

async function restart() {
  await stop();
  await start();
}

// What the command itself says where nobody asks it anything.
function reason({ command, args }) {
  return new Promise((resolve) => {
    let said = "";
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
    child.stderr.on("data", (data) => (said += data));
    child.on("error", () => resolve(notInstalled(command)));
    child.on("close", (code) => {
      const words = said.split("Error: ").pop().trim().replace(/\s*\n\s*/g, "; ");
      resolve(`policyc lsp does not start: ${words || `it ended with status ${code}`}`);
    });
  });
}

function notInstalled(command) {
  return (
    `policyc lsp does not start: there is no program ${command}. ` +
    "Install it with pip install 'policyc[lsp]', or say in policyc.command where it is."
  );
}

async function tell(message) {
  const [settings, again] = ["Open Settings", "Try Again"];
  const chosen = await vscode.window.showErrorMessage(message, settings, again);
  if (chosen === settings) {
    await vscode.commands.executeCommand("workbench.action.openSettings", "@ext:policyc.policyc");
  } else if (chosen === again) {
    await inTurn(restart);
  }
}

exports.activate = function (context) {
  output = vscode.window.createOutputChannel("policyc");
  context.subscriptions.push(
    output,
    vscode.commands.registerCommand("policyc.restart", () => inTurn(restart)),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("policyc")) {
        inTurn(restart);
      }
    })
  );
  return inTurn(start);
};

exports.deactivate = () => inTurn(stop);
