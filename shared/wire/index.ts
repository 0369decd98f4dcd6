/** What nodes and clients say to each other: topics, requests, answers and reports. */
export type { CameraSetting } from './camera-setting.js';
export { parseCameraSetting } from './camera-setting.js';
export type { Steps } from './cut-data.js';
export type { Envelope, InferenceInput, InferenceRequest } from './inference-request.js';
export { parseInferenceRequest, salvageEnvelope } from './inference-request.js';
export type { ErrorResponse, InferenceResponse, ResponseTensor } from './inference-response.js';
export {
  classMapTensors,
  classTensors,
  datatypeOf,
  detectionTensors,
  pictureTensor,
  placeTensors,
} from './inference-response.js';
export { isLoopback } from './loopback.js';
export { MODEL_NAME, MODEL_NAME_RULE } from './model-name.js';
export type {
  CameraReport,
  CameraState,
  CameraStateReport,
  CameraStatus,
  CheckFault,
  CheckState,
  NodeHealth,
  NodeInfo,
  PlanMemory,
  PredictedMemory,
  Pressure,
  StoreProblem,
} from './node-report.js';
export type { CountsReport, DetectionReport, ObjectReport } from './object-report.js';
export { RequestError } from './request-error.js';
export type { CameraTopics, NodeTopics } from './topics.js';
export { cameraTopics, clientOf, inferTopic, isTopicLevel, nodeTopics } from './topics.js';
